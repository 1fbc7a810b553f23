// A libevent 2 and a Qt that are newer than any that was read: their functions are as ever.
unsigned event_get_version_number(void);
unsigned event_get_version_number(void)
{
    return 0x02ff0000;
}

const char *qVersion(void);
const char *qVersion(void)
{
    return "7.0.0";
}
