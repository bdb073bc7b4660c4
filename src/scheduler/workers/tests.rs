//! Who works, and where.

use std::thread::{self, ThreadId};

use super::*;
use crate::scheduler::now;

async fn thread_of(workers: &Workers, now: Instant) -> ThreadId {
    workers.spawn(now, async { thread::current().id() }).await.unwrap()
}

#[test]
fn another_worker_helps_when_those_there_are_are_full() {
    let second = Duration::from_secs(1);
    let percent = |busy: u64| enough(Duration::from_millis(busy * 10), second);
    assert_eq!([0, 59, 60, 100, 119, 120, 200].map(percent), [1, 1, 2, 2, 2, 3, 4]);
    assert_eq!(enough(second, Duration::ZERO), 1, "no time has passed");
}

#[tokio::test]
async fn a_quiet_exporter_probes_on_one_thread_which_is_not_the_callers() {
    let workers = Workers::with(Worker::start().unwrap(), 4);
    let first = thread_of(&workers, now()).await;
    assert_ne!(first, thread::current().id());
    for second in 1..5 {
        assert_eq!(thread_of(&workers, now() + LOOK * second).await, first);
    }
}

#[tokio::test]
async fn busy_probes_are_shared_out_until_there_is_little_to_do() {
    let workers = Workers::with(Worker::start().unwrap(), 2);
    let start = now();
    let first = thread_of(&workers, start).await;
    let work = LOOK.mul_f64(0.7);
    workers.spawn(start, async move { thread::sleep(work) }).await.unwrap();
    // It is counted when the worker has nothing left to do.
    while workers.crew.lock().unwrap().busy_so_far() < work {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut both = [thread_of(&workers, start + LOOK).await, thread_of(&workers, start + LOOK).await];
    both.sort_by_key(|thread| *thread != first);
    assert!(both[0] == first && both[1] != first, "{both:?}");
    for _ in 0..4 {
        assert_eq!(thread_of(&workers, start + LOOK * 2).await, first);
    }
}

#[tokio::test]
async fn within_a_runtime_nothing_is_started() {
    let workers = Workers::here();
    assert_eq!(thread_of(&workers, now()).await, thread::current().id());
}

#[tokio::test]
async fn a_thread_that_cannot_be_had_is_an_error_and_no_more() {
    let endless = thread::Builder::new().stack_size(usize::MAX / 4);
    assert!(Worker::start_on(endless).is_err());
}
