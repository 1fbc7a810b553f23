// A libuv of a version that nobody has read: its reserved words are not to be used.
unsigned uv_version(void);
unsigned uv_version(void)
{
    return 0x7f0000;
}
