// A pool of Rust: boxed functions go through a channel, and see the number of who submitted them.
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{mpsc, Arc, Mutex};

thread_local! { static REQUEST: Cell<u64> = const { Cell::new(0) }; }
static RAN: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn look(wanted: u64) {
    if REQUEST.with(|r| r.replace(77)) != wanted {
        WRONG.fetch_add(1, SeqCst);
    }
    RAN.fetch_add(1, SeqCst);
}

type Job = Box<dyn FnOnce() + Send>;
struct Pool {
    sender: mpsc::Sender<Job>,
}

impl Pool {
    #[inline(never)]
    fn submit(&self, job: Job) {
        self.sender.send(job).unwrap();
    }
}

fn main() {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let receiver = receiver.clone();
            std::thread::spawn(move || loop {
                let job = receiver.lock().unwrap().recv();
                match job {
                    Ok(job) => job(),
                    Err(_) => break,
                }
            })
        })
        .collect();
    let pool = Pool { sender };
    for i in 1..=200u64 {
        REQUEST.with(|r| r.set(i));
        if i % 2 == 0 {
            pool.submit(Box::new(move || look(i)));
        } else {
            let numbers = vec![i];
            pool.submit(Box::new(move || look(numbers[0])));
        }
    }
    REQUEST.with(|r| r.set(0));
    drop(pool);
    for worker in workers {
        worker.join().unwrap();
    }
    println!("ran {} wrong {}", RAN.load(SeqCst), WRONG.load(SeqCst));
    std::process::exit(if WRONG.load(SeqCst) > 0 { 1 } else { 0 });
}
