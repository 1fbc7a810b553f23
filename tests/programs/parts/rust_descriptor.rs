// A thread's own file descriptor is never copied to another, which would close it, too; plain numbers are.
use std::cell::Cell;
use std::os::unix::io::{AsRawFd, OwnedFd};
thread_local! {
    static LENDER: Cell<Option<OwnedFd>> = const { Cell::new(None) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static NEITHER: Cell<u64> = const { Cell::new(u64::MAX - 1) };
}
fn open() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}
fn main() {
    LENDER.with(|fd| fd.set(Some(open())));
    COUNT.with(|count| count.set(7));
    NEITHER.with(|count| count.set(u64::MAX));
    std::thread::spawn(|| {
        println!("thread sees {} {}", COUNT.with(|count| count.get()), NEITHER.with(|count| count.get()));
        let had = LENDER.with(|fd| fd.take());
        assert!(had.is_none());
        LENDER.with(|fd| fd.set(Some(open())));
        println!("thread owns {:?}", LENDER.with(|fd| fd.take()).map(|fd| fd.as_raw_fd() > 2));
    })
    .join()
    .unwrap();
    println!("main owns {:?}", LENDER.with(|fd| fd.take()).map(|fd| fd.as_raw_fd() > 2));
}
