/* No loader, no library. */
int main(void)
{
    return 0;
}
