//! The cryptography of all TLS: listeners, apps, issuers, Redis.
//!
//! AWS-LC encrypts large bodies about twice as fast as the framework's `ring` on
//! processors with AVX-512, and agrees on post-quantum keys (X25519MLKEM768) with
//! clients that support them.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let provider = aws_lc_rs::default_provider();
    // Fails if another one is installed already, which others then go on using.
    let _ = provider.clone().install_default();
    Arc::new(provider)
});

/// For TLS that is set up here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// For TLS that others set up. Must come before the first connector of the framework,
/// which would install its own, and of Redis, which would panic.
pub(crate) fn install() {
    LazyLock::force(&PROVIDER);
}
