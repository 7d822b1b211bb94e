//! Randomness, from the host on every target; good enough for keys.

/// So many random bytes.
pub fn bytes(count: usize) -> Vec<u8> {
    crate::host::random(count)
}

/// A random number.
pub fn u64() -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes(8));
    u64::from_le_bytes(number)
}
