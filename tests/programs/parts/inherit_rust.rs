// Threads of Rust's standard library inherit a pthread key, also scoped ones and ones that panic.
use std::thread;

extern "C" {
    fn pthread_key_create(key: *mut u32, destructor: Option<extern "C" fn(*mut u8)>) -> i32;
    fn pthread_setspecific(key: u32, value: *const u8) -> i32;
    fn pthread_getspecific(key: u32) -> *mut u8;
}

#[no_mangle]
pub static mut RUST_KEY: u32 = 0;

fn seen() -> usize {
    unsafe { pthread_getspecific(RUST_KEY) as usize }
}

fn main() {
    unsafe {
        pthread_key_create(std::ptr::addr_of_mut!(RUST_KEY), None);
        pthread_setspecific(RUST_KEY, 7 as *const u8);
    }
    std::panic::set_hook(Box::new(|_| {}));
    println!("spawn {}", thread::spawn(seen).join().unwrap());
    println!("scope {}", thread::scope(|scope| scope.spawn(seen).join().unwrap()));
    let panicked = thread::spawn(|| if seen() < usize::MAX { panic!("{}", seen()) });
    println!("panic {}", panicked.join().unwrap_err().downcast::<String>().unwrap());
    println!("main {}", seen());
}
