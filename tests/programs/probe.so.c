// A library that gives every program it is loaded into something to carry: a key and a word, both set
// in the main thread. For the real programs (scripts/real-programs).
#include <pthread.h>

pthread_key_t probe_key;
__thread long probe_word;

__attribute__((constructor)) static void set_up(void)
{
    pthread_key_create(&probe_key, 0);
    pthread_setspecific(probe_key, (void *)42L);
    probe_word = 43;
}
