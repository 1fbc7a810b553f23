"""Threads of Python's read a key of a C library through libc's own handle: bypass.py LIBRARY ROUNDS"""
import ctypes
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

library = ctypes.CDLL(sys.argv[1])
libc = ctypes.CDLL("libc.so.6")
if not hasattr(libc, "pthread_getspecific"):  # before glibc 2.34
    libc = ctypes.CDLL("libpthread.so.0")
libc.pthread_getspecific.restype = ctypes.c_void_p
libc.pthread_getspecific.argtypes = [ctypes.c_uint]
libc.pthread_setspecific.argtypes = [ctypes.c_uint, ctypes.c_void_p]
libc.pthread_key_create(ctypes.byref(ctypes.c_uint.in_dll(library, "plugin_key")), None)
key = ctypes.c_uint.in_dll(library, "plugin_key").value
wrong = 0


def read(wanted):
    global wrong
    wrong += libc.pthread_getspecific(key) != wanted


for turn in range(1, int(sys.argv[2]) + 1):
    libc.pthread_setspecific(key, turn)
    thread = threading.Thread(target=read, args=(turn,))
    thread.start()
    thread.join()
libc.pthread_setspecific(key, None)

# A thread that C code starts through a pointer of dlsym's.
START = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
seen = []
body = START(lambda _: seen.append(libc.pthread_getspecific(key)))
libc.pthread_setspecific(key, 77)
thread = ctypes.c_ulong()
libc.pthread_create(ctypes.byref(thread), None, body, None)
libc.pthread_join(thread, None)
libc.pthread_setspecific(key, None)
wrong += seen != [77]

with ThreadPoolExecutor(1) as pool:
    pool.submit(read, None).result()
print(f"wrong {wrong}")
sys.exit(wrong > 0)
