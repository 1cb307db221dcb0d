//! Prints what segments and objects cost: `cargo run --release -p ipc-core --example costs`.
//!
//! Bytes, descriptors and mappings are exact. Times are medians on the machine where it runs, and wander by half on a busy one.
//! The table in the guide of `ipc_core` is a print of this program.

use ipc_core::{Array, AtomicArray, AtomicValue, Error, Segment, Value};
use std::fs;
use std::time::Instant;

fn main() -> Result<(), Error> {
    header("a segment of its own", ["bytes", "descriptors", "mappings", "µs"]);
    segment("Segment::new(4096)", || Segment::new(4096))?;
    segment("Segment::new(1 << 20)", || Segment::new(1 << 20))?;
    segment("Value::<u64>::new", || Ok(Value::new(0u64)?.segment().clone()))?;
    segment("Value::<[u8; 4096]>::new", || Ok(Value::new([0u8; 4096])?.segment().clone()))?;
    segment("Array::<u64>::new(1000)", || Ok(Array::<u64>::new(1000)?.segment().clone()))?;
    segment("AtomicValue::<u64>::new", || Ok(AtomicValue::new(0u64)?.segment().clone()))?;
    let named = format!("costs-{}", std::process::id());
    segment("Value::<u64>::create and unlink", || {
        let value = Value::create(&named, 0u64)?;
        Segment::unlink(&named)?;
        Ok(value.segment().clone())
    })?;

    header("one more object in a segment", ["bytes", "", "", "µs"]);
    object("Value::<u64>::new_in", |segment, _| Value::new_in(segment, 0u64).map(drop))?;
    object("Value::<u64>::create_in", |segment, name| Value::create_in(segment, name, 0u64).map(drop))?;
    object("Value::<[u64; 8]>::new_in", |segment, _| Value::new_in(segment, [0u64; 8]).map(drop))?;
    object("Array::<u64>::new_in, 100", |segment, _| Array::<u64>::new_in(segment, 100).map(drop))?;
    object("AtomicValue::<u64>::new_in", |segment, _| AtomicValue::new_in(segment, 0u64).map(drop))?;
    object("AtomicArray::<u64>::new_in, 100", |segment, _| AtomicArray::<u64>::new_in(segment, 100).map(drop))?;
    opened()?;

    header("one more process", ["bytes", "", "", ""]);
    let with = |rows| Segment::options().members(rows).anonymous(4096).map(|segment| segment.len_bytes());
    // A whole number of pages.
    let row = (with(1088)? - with(64)?) / 1024;
    line("a member row, reserved by .members(n)", [row.to_string(), String::new(), String::new(), String::new()]);
    Ok(())
}

const ROUNDS: usize = 301;

/// What is there per process: open descriptors, and mappings.
fn resources() -> [i64; 2] {
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count());
    let mappings = fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    [descriptors as i64, mappings as i64]
}

fn segment(what: &str, make: impl Fn() -> Result<Segment, Error>) -> Result<(), Error> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let made = make()?;
        times.push(started.elapsed().as_nanos());
        drop(made);
    }
    // Adjacent mappings of one file merge, so only what one alone adds can be counted.
    let before = resources();
    let made = make()?;
    let [descriptors, mappings] = [0, 1].map(|i| resources()[i] - before[i]);
    let bytes = made.len_bytes();
    line(what, [bytes.to_string(), descriptors.to_string(), mappings.to_string(), microseconds(times)]);
    Ok(())
}

fn object(what: &str, make: impl Fn(&Segment, &str) -> Result<(), Error>) -> Result<(), Error> {
    let segment = Segment::new(1 << 20)?;
    let (free, mut times) = (segment.free_bytes(), Vec::with_capacity(ROUNDS));
    for n in 0..ROUNDS {
        let name = format!("object-{n:04}");
        let started = Instant::now();
        make(&segment, &name)?;
        times.push(started.elapsed().as_nanos());
    }
    let bytes = (free - segment.free_bytes()) / ROUNDS as u64;
    line(what, [bytes.to_string(), String::new(), String::new(), microseconds(times)]);
    Ok(())
}

fn opened() -> Result<(), Error> {
    let segment = Segment::new(1 << 20)?;
    let names: Vec<_> = (0..ROUNDS).map(|n| format!("object-{n:04}")).collect();
    for name in &names {
        Value::create_in(&segment, name, 0u64)?;
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for name in &names {
        let started = Instant::now();
        Value::<u64>::open_in(&segment, name)?;
        times.push(started.elapsed().as_nanos());
    }
    line("Value::<u64>::open_in", ["0".to_owned(), String::new(), String::new(), microseconds(times)]);
    Ok(())
}

fn microseconds(mut times: Vec<u128>) -> String {
    times.sort_unstable();
    format!("{:.1}", times[times.len() / 2] as f64 / 1000.0)
}

fn header(what: &str, columns: [&str; 4]) {
    line(&format!("— {what}"), columns.map(str::to_owned));
}

#[expect(clippy::print_stdout, reason = "the output of a program")]
fn line(what: &str, columns: [String; 4]) {
    let [bytes, descriptors, mappings, time] = columns;
    println!("{what:<40} {bytes:>9} {descriptors:>12} {mappings:>9} {time:>8}");
}
