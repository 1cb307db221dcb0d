//! Producers and consumers around one bounded queue. It ends when the last producer is gone: no item means "stop".
//!
//! ```text
//! cargo run --release -p demos --bin producer_consumer -- --producers 2 --consumers 3
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ipc_core::plain;
use ipc_process::Process;
use ipc_queue::{Receiver, Sender, bounded};
use serde_json::json;

/// Producers and consumers around one bounded queue.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many processes produce.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=30))]
    producers: u32,
    /// How many processes consume.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=30))]
    consumers: u32,
    /// How many items each producer makes.
    #[arg(long, default_value_t = 10)]
    items: u32,
    /// How many items the queue holds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    capacity: u32,
    /// Print only the result, as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What goes through the queue.
#[plain]
struct Item {
    producer: u32,
    number: u32,
}

fn produce(producer: u32, items: u32, queue: Sender<Item>, quiet: bool) -> u64 {
    for number in 1..=items {
        if queue.send(Item { producer, number }).is_err() {
            return u64::from(number) - 1; // all consumers are gone
        }
        if !quiet {
            println!("producer {producer} produced item {number}");
        }
    }
    u64::from(items)
}

fn consume(consumer: u32, queue: Receiver<Item>, quiet: bool) -> Vec<(u32, u32)> {
    let mut consumed = Vec::new();
    for Item { producer, number } in queue.iter() {
        if !quiet {
            println!("consumer {consumer} consumed item {number} of producer {producer}");
        }
        consumed.push((producer, number));
    }
    consumed
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { producers, consumers, items, capacity, json } = Arguments::parse();
    let started = Instant::now();

    let (sender, receiver) = bounded(capacity as usize)?;
    let (mut producing, mut consuming) = (Vec::new(), Vec::new());
    for id in 1..=consumers {
        let child = Process::options().daemon(true).spawn(consume, (id, receiver.try_clone()?, json))?;
        consuming.push(child);
    }
    for id in 1..=producers {
        let child = Process::options().daemon(true).spawn(produce, (id, items, sender.try_clone()?, json))?;
        producing.push(child);
    }
    drop((sender, receiver)); // ours; the queue closes when the last producer's goes

    let mut produced = 0;
    for producer in producing {
        produced += producer.join()?;
    }
    let mut arrived = HashMap::new();
    for consumer in consuming {
        for item in consumer.join()? {
            *arrived.entry(item).or_insert(0u64) += 1;
        }
    }

    let expected = (1..=producers).flat_map(|producer| (1..=items).map(move |number| (producer, number)));
    let missing = expected.filter(|item| !arrived.contains_key(item)).count();
    let consumed = arrived.values().sum::<u64>();
    let duplicated = consumed - arrived.len() as u64;
    let seconds = started.elapsed().as_secs_f64();
    if json {
        let (p, c, m, d) = (produced, consumed, missing, duplicated);
        println!("{}", json!({"produced": p, "consumed": c, "missing": m, "duplicated": d, "seconds": seconds}));
    } else {
        println!(
            "{produced} produced, {consumed} consumed, {missing} missing, {duplicated} duplicated in {seconds:.3} s"
        );
    }
    let all_is_well = missing == 0 && duplicated == 0 && produced == consumed;
    Ok(if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
