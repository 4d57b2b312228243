//! What a phone's password is kept as: HA1 (RFC 7616 §3.4.2, RFC 8760), never the password.

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::domain::Credentials;

/// HA1 of `user` with `secret` under `realm`, for both algorithms.
pub fn credentials(user: &str, realm: &str, secret: &str) -> Credentials {
    let text = format!("{user}:{realm}:{secret}");
    Credentials {
        user: user.into(),
        ha1_md5: hex(&Md5::digest(text.as_bytes())).into(),
        ha1_sha256: hex(&Sha256::digest(text.as_bytes())).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_vectors_come_out() {
        // RFC 7616 §3.9.1's user, realm and password.
        let kept = credentials("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(&*kept.ha1_md5, "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            &*kept.ha1_sha256,
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
