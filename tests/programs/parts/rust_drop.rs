// A thread-local String of Rust is never copied byte by byte: each thread ends its own.
use std::cell::{Cell, RefCell};
thread_local! {
    static NAME: RefCell<String> = RefCell::new(String::new());
    static LATER: Cell<u64> = Cell::new(std::process::id() as u64);
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}
fn main() {
    NAME.with(|name| *name.borrow_mut() = "a name that is too long for a word".to_string());
    NUMBER.with(|number| number.set(7));
    LATER.with(|number| number.set(8));
    for _ in 0..5 {
        let saw = std::thread::spawn(|| {
            NAME.with(|name| name.borrow_mut().push_str("and longer than it was before"));
            NUMBER.with(|number| number.get()) + LATER.with(|number| if number.get() == 8 { 800 } else { 0 })
        });
        println!("thread sees {}", saw.join().unwrap());
    }
    NAME.with(|name| println!("main has {}", name.borrow()));
}
