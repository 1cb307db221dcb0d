//! A user of ipc-core alone.

use ipc_core::{Array, Plain, Segment, Value, plain};
use std::error::Error;

#[plain]
#[derive(Debug, PartialEq)]
struct Point {
    x: f64,
    y: f64,
    label: u8,
}

#[plain(name = "track/1")]
struct Track {
    points: [Point; 2],
    id: u32,
}

fn round_trip<T: Plain>(value: T) -> Result<T, Box<dyn Error>> {
    Ok(Value::new(value)?.get()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let points = [Point { x: 1.0, y: 2.0, label: 3 }, Point { x: 4.0, y: 5.0, label: 6 }];
    assert_eq!(round_trip(Track { points, id: 7 })?.points, points);
    let segment = Segment::new(4096)?;
    let array = Array::<Point>::create_in(&segment, "points", 4)?;
    array.set(1, points[1])?;
    let twin = Array::<Point>::attach(&array.ticket().to_string().parse()?)?;
    assert_eq!(twin.get(1)?, points[1]);
    println!("ipc-core alone: ok");
    Ok(())
}
