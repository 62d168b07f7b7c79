//! The parts of a connection that its wrappers pass on unchanged.

/// Delegates the framework's questions about a connection to `io`, except
/// `GetProxyDigest`.
macro_rules! pass_on {
    ($layer:ty) => {
        impl std::fmt::Debug for $layer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($layer)).field(&self.io).finish()
            }
        }

        #[async_trait::async_trait]
        impl pingora::protocols::Shutdown for $layer {
            async fn shutdown(&mut self) {
                self.io.shutdown().await;
            }
        }

        impl pingora::protocols::UniqueID for $layer {
            fn id(&self) -> pingora::protocols::UniqueIDType {
                self.io.id()
            }
        }

        impl pingora::protocols::Ssl for $layer {
            fn get_ssl(&self) -> Option<&pingora::protocols::tls::TlsRef> {
                self.io.get_ssl()
            }

            fn get_ssl_digest(&self) -> Option<std::sync::Arc<pingora::protocols::tls::SslDigest>> {
                self.io.get_ssl_digest()
            }

            fn selected_alpn_proto(&self) -> Option<pingora::protocols::ALPN> {
                self.io.selected_alpn_proto()
            }
        }

        impl pingora::protocols::GetTimingDigest for $layer {
            fn get_timing_digest(&self) -> Vec<Option<pingora::protocols::TimingDigest>> {
                self.io.get_timing_digest()
            }
        }

        impl pingora::protocols::GetSocketDigest for $layer {
            fn get_socket_digest(
                &self,
            ) -> Option<std::sync::Arc<pingora::protocols::SocketDigest>> {
                self.io.get_socket_digest()
            }
        }
    };
}

pub(in crate::server) use pass_on;
