//! What the tests share: folders that go when their guard does, running programs, and words counted in one pass.

#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A hang is a failure, a slow machine is not.
pub const WATCHDOG: Duration = Duration::from_secs(240);

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("demos-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A folder of its own, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let path = std::env::temp_dir().join(unique());
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &PathBuf {
        &self.0
    }

    /// Writes a file, and the folders it needs.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that runs, with all its descendants: they are known by a variable in their environment.
pub struct Run {
    pub child: Child,
    mark: String,
    in_shm: Vec<PathBuf>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

const VARIABLE: &str = "DEMOS_TEST_RUN";

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Ended {
    Run::start(command).end()
}

impl Run {
    pub fn start(command: &mut Command) -> Run {
        let mark = unique();
        let in_shm = files_below(Path::new("/dev/shm"));
        command.env(VARIABLE, &mark).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run { child: command.spawn().unwrap(), mark, in_shm }
    }

    /// Waits for the end; then no descendant and nothing in `/dev/shm` may be left.
    pub fn end(mut self) -> Ended {
        let (stdout, stderr) = (drain(self.child.stdout.take()), drain(self.child.stderr.take()));
        let code = self.wait();
        assert_eq!(self.processes(), [] as [i32; 0], "processes were left behind");
        let left = |path: &PathBuf| path.exists() && !self.in_shm.contains(path);
        let mut files = files_below(Path::new("/dev/shm"));
        let started = Instant::now();
        // Other programs on this machine come and go there too; what this one left would stay.
        while files.iter().any(left) && started.elapsed() < WATCHDOG {
            files.retain(left);
            thread::yield_now();
        }
        assert!(!files.iter().any(left), "left in /dev/shm: {files:?}");
        Ended { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// The exit code; `None` after a signal.
    pub fn wait(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if started.elapsed() > WATCHDOG {
                let _ = self.child.kill();
                panic!("{} hangs", self.mark);
            }
            thread::sleep(Duration::from_millis(1)); // between two looks
        }
    }

    /// The pids of its descendants, and its own, as far as they live.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("{VARIABLE}={}\0", self.mark).into_bytes();
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let is_ours = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.windows(mark.len()).any(|part| part == mark))
        };
        pids.filter(is_ours).collect()
    }

    /// The pids of its children.
    pub fn children(&self) -> Vec<i32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
    }
}

/// Kills a process; it may be gone.
pub fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).unwrap();
        }
        String::from_utf8(bytes).unwrap()
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.extend(files_below(&entry.path()));
        found.push(entry.path());
    }
    found
}

/// Calls `look` again and again until `done` is received.
pub fn until<T>(done: &mpsc::Receiver<T>, every: Duration, mut look: impl FnMut()) -> T {
    loop {
        look();
        match done.recv_timeout(every) {
            Ok(value) => return value,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Words counted in one pass over whole files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OnePass {
    pub counts: HashMap<String, u64>,
    pub files: u64,
    pub bytes: u64,
    pub lossy_files: u64,
}

impl OnePass {
    pub fn over(path: &Path) -> OnePass {
        let mut pass = OnePass::default();
        pass.take(path);
        pass
    }

    fn take(&mut self, path: &Path) {
        if fs::metadata(path).unwrap().is_dir() {
            for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
                let (kind, path) = (entry.file_type().unwrap(), entry.path());
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !hidden && (kind.is_file() || kind.is_dir() && !path.join("CACHEDIR.TAG").exists()) {
                    self.take(&path);
                }
            }
            return;
        }
        let bytes = fs::read(path).unwrap();
        self.files += 1;
        self.bytes += bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes);
        self.lossy_files += u64::from(matches!(text, std::borrow::Cow::Owned(_)));
        for word in text.split_whitespace() {
            *self.counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }

    /// All words in the order of results.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<_> = self.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        sorted.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
        sorted
    }

    pub fn words(&self) -> u64 {
        self.counts.values().sum()
    }
}
