//! Bodies that the vendor has compressed. What is signed are the compressed bytes, so this comes after the signature, which
//! also is why gzip's own checksum is not looked at: nothing can have changed on the way.

use super::Rejection;
use miniz_oxide::inflate::{
    DecompressError, TINFLStatus, decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit,
};
use std::borrow::Cow;

/// What a body may become: a few kilobytes can stand for gigabytes.
const DECODED_BYTES_MAX: usize = 4 << 20;
/// Checksum and length behind gzip's content.
const GZIP_END_BYTES: usize = 8;

/// The body before it was encoded as its `Content-Encoding` says.
pub(super) fn decoded<'a>(encoding: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Rejection> {
    let broken = || Rejection::Malformed(format!("the body is not encoded as `{encoding}`"));
    let content = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(Cow::Borrowed(body)),
        "gzip" | "x-gzip" => decompress_to_vec_with_limit(gzipped(body).ok_or_else(broken)?, DECODED_BYTES_MAX),
        "deflate" => decompress_to_vec_zlib_with_limit(body, DECODED_BYTES_MAX),
        _ => {
            return Err(Rejection::Unsupported(format!("the body is encoded as `{encoding}`, not as gzip or deflate")));
        }
    };
    content.map(Cow::Owned).map_err(|DecompressError { status, .. }| match status {
        TINFLStatus::HasMoreOutput => {
            Rejection::Malformed(format!("the body decodes to more than {DECODED_BYTES_MAX} bytes"))
        }
        _ => broken(),
    })
}

/// The compressed content of a gzip file (RFC 1952, section 2.3).
fn gzipped(file: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (header, mut rest) = file.split_at_checked(10)?;
    let [0x1f, 0x8b, 8, flags, ..] = *header else { return None };
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_at_checked(2)?;
        rest = behind.get(usize::from(u16::from_le_bytes([length[0], length[1]]))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    rest.get(..rest.len().checked_sub(GZIP_END_BYTES)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_what_it_was_before_it_was_encoded() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"{}").unwrap();
        let zlib = zlib.finish().unwrap();
        let named = GzBuilder::new().extra(*b"extra").filename("a.json").comment("c");
        let mut named = named.write(Vec::new(), Compression::fast());
        named.write_all(b"{}").unwrap();
        let named = named.finish().unwrap();
        for (encoding, body) in
            [("", &b"{}"[..]), ("identity", b"{}"), ("GZIP", &gzip(b"{}")), ("x-gzip", &named), ("deflate", &zlib)]
        {
            assert_eq!(decoded(encoding, body).as_deref(), Ok(&b"{}"[..]), "{encoding}");
        }
    }

    #[test]
    fn what_grows_out_of_bounds_or_is_broken_is_malformed() {
        let bomb = gzip(&vec![0; DECODED_BYTES_MAX + 1]);
        assert!(decoded("gzip", &bomb).unwrap_err().message().contains("more than 4194304 bytes"));
        let whole = gzip(b"some text");
        for length in 0..whole.len() - GZIP_END_BYTES {
            let cut = decoded("gzip", &whole[..length]);
            assert!(matches!(cut, Err(Rejection::Malformed(_))), "{length} bytes: {cut:?}");
        }
        for bad in [&b"{}"[..], b"{\"type\":\"push\",\"id\":1}", &[0x1f, 0x8b, 8, 0xff, 0, 0, 0, 0, 0, 0, 9, 9]] {
            assert!(matches!(decoded("gzip", bad), Err(Rejection::Malformed(_))));
            assert!(matches!(decoded("deflate", bad), Err(Rejection::Malformed(_))));
        }
        assert!(decoded("gzip", &gzip(&vec![0; DECODED_BYTES_MAX])).is_ok());
        assert!(matches!(decoded("br", b""), Err(Rejection::Unsupported(_))));
    }
}
