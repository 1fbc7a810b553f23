// A map of a program that has its C++ library in itself: whose objects these are nobody can see.
// link: -static-libstdc++
#include <map>
#include <string>

thread_local std::map<std::string, std::string> saved;

int main(int argc, char **argv)
{
    saved[argv[0]] = std::string(argv[0]) + "!";
    return saved.size() == 1 ? 0 : 1;
}
