//! One share of the targets, for several exporters that divide them.

/// The share `index` of `count`. All ports of a host are in the same share, so that the verdict on a port
/// still sees the others of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Reads `0/3`: the first of three.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no share: write INDEX/COUNT with an index from 0, such as 0/3, 1/3, 2/3");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let shard = Self { index: index.parse().map_err(|_| wrong())?, count: count.parse().map_err(|_| wrong())? };
        (shard.index < shard.count).then_some(shard).ok_or_else(wrong)
    }

    /// Whether a host belongs to it, by the number that all its endpoints share.
    pub fn holds(self, host_hash: u64) -> bool {
        host_hash.checked_rem(self.count) == Some(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_index_of_count() {
        assert_eq!(Shard::parse("0/1"), Ok(Shard::WHOLE));
        assert!(Shard::parse("2/3").is_ok());
        for bad in ["3/3", "1", "a/b", "-1/2", "0/0", ""] {
            assert!(Shard::parse(bad).is_err(), "{bad}");
        }
    }
}
