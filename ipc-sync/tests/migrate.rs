//! Both halves of the example `migrate` count every round of every process. Without a harness: the workers are this program
//! again, with arguments.

#[allow(dead_code)]
#[path = "../examples/migrate.rs"]
mod example;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if example::work()? {
        return Ok(());
    }
    assert_eq!(example::before::count()?, example::TOTAL);
    assert_eq!(example::after::count()?, example::TOTAL);
    Ok(())
}
