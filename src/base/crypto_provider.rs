//! The cryptography of TLS: of the listeners, towards apps, issuers and Redis.
//!
//! AWS-LC, which encrypts large bodies about twice as fast as the framework's `ring`
//! on processors with AVX-512 and agrees on keys that a quantum computer will not
//! find out (X25519MLKEM768) with clients that can.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let provider = aws_lc_rs::default_provider();
    // One that was installed before stays what others use.
    let _ = provider.clone().install_default();
    Arc::new(provider)
});

/// For TLS that is set up here.
pub fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// For TLS that others set up: has to come before the first connector of the
/// framework, which would install its own, and of Redis, which would panic.
pub fn install() {
    LazyLock::force(&PROVIDER);
}
