// A Go program with a C thread pool: its tasks know their request; Go's own threads hold none.
package main

/*
#include <pthread.h>
#include <stdlib.h>
#include "hooks_pools.h"

pthread_key_t request_key;
static int ran, wrong;

static void task(void *argument)
{
	if (pthread_getspecific(request_key) != argument)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
	pthread_setspecific(request_key, (void *)90000);
}

__attribute__((noinline, noclone)) void inside_submit(void (*function)(void *), void *argument)
{
	__asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" : "+r"(function), "+r"(argument));
	function(argument);
}

static void run_pool(void)
{
	pthread_key_create(&request_key, NULL);
	call_start(3);
	for (long i = 1; i <= 1000; i++) {
		pthread_setspecific(request_key, (void *)i);
		call_submit(NULL, task, (void *)i);
	}
	pthread_setspecific(request_key, NULL);
	call_stop();
	pthread_setspecific(request_key, (void *)7);
	inside_submit(task, (void *)7);
	pthread_setspecific(request_key, (void *)7);
}
static long current(void) { return (long)pthread_getspecific(request_key); }
static int get_ran(void) { return ran; }
static int get_wrong(void) { return wrong; }
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
)

//go:noinline
func submit(function func()) { function() }

func main() {
	var wait, gate sync.WaitGroup
	var lock sync.Mutex
	foreign := 0
	C.run_pool()
	// Goroutines that each need a thread: the runtime makes them while this one holds request 7.
	// All are counted before the first can be done: a gate that reached zero meanwhile must not be used again.
	wait.Add(8)
	gate.Add(8)
	for i := 0; i < 8; i++ {
		go func() {
			runtime.LockOSThread()
			gate.Done()
			gate.Wait()
			submit(func() {
				lock.Lock()
				if C.current() != 0 {
					foreign++
				}
				lock.Unlock()
			})
			wait.Done()
		}()
	}
	wait.Wait()
	fmt.Printf("ran %d wrong %d\nthreads of Go that hold a request: %d\n", C.get_ran(), C.get_wrong(), foreign)
	if C.get_wrong() != 0 {
		C.exit(1)
	}
	C.exit(0) // Go's own way out is a system call, which no library sees
}
