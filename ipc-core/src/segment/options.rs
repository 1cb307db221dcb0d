//! What can be chosen when a segment is made.

/// Choices for a new segment; the defaults fit most.
///
/// ```
/// use ipc_core::Segment;
/// let segment = Segment::options().members(200).anonymous(1 << 20)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    pub(crate) members: u32,
    pub(crate) populate: bool,
    pub(crate) label: Option<String>,
}

impl SegmentOptions {
    /// How many processes can be attached at once: 64 unless set, at most 65 535. Each row costs 128 bytes.
    pub fn members(mut self, rows: u32) -> Self {
        self.members = rows;
        self
    }

    /// Touches every page when mapping, so that no page fault comes later.
    pub fn populate(mut self, yes: bool) -> Self {
        self.populate = yes;
        self
    }

    /// The name that an anonymous segment shows in `/proc/PID/maps`; for people only.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { members: 64, populate: false, label: None }
    }
}
