/* Everything happens inside of a library, between functions that nobody else can name. */
int library_main(int argc, char **argv);

int main(int argc, char **argv)
{
    return library_main(argc, argv);
}
