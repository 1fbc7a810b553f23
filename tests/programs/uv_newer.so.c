// A libuv 1 that is newer than any that was read: its reserved words are not to be used, its structures are as ever.
unsigned uv_version(void);
unsigned uv_version(void)
{
    return 0x01ff00;
}
