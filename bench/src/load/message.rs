//! Requests that are written once and then only numbered.

/// A request whose numbers can be changed in place.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Numbered {
    /// Takes a request that has [`NUMBER`] wherever the number belongs.
    pub(crate) fn new(request: &str) -> Self {
        let places = request.match_indices(NUMBER).map(|(at, _)| at).collect();
        Self { bytes: request.as_bytes().to_vec(), places }
    }

    /// The request with this number, which has ten digits.
    pub(crate) fn with(&mut self, number: u64) -> &[u8] {
        let digits = number.to_string();
        debug_assert_eq!(digits.len(), NUMBER.len(), "numbers have one length");
        for place in &self.places {
            if let Some(range) = self.bytes.get_mut(*place..place + digits.len()) {
                range.copy_from_slice(digits.as_bytes());
            }
        }
        &self.bytes
    }
}

/// Stands for a number; as long as one.
pub(crate) const NUMBER: &str = "##########";

/// The first number; all of them have ten digits, so that a request never changes its length.
pub(crate) const FIRST_NUMBER: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_gets_the_number() {
        let mut request = Numbered::new(&format!("a {NUMBER} b {NUMBER}"));
        assert_eq!(request.with(FIRST_NUMBER), b"a 1000000000 b 1000000000");
        assert_eq!(request.with(9_999_999_999), b"a 9999999999 b 9999999999");
    }
}
