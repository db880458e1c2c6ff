//! One connection that is kept open, for those who send much.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection, opened when it is needed.
pub struct Line {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
    driver: JoinSet<()>,
}

impl Line {
    pub fn to(address: SocketAddr) -> Self {
        Self { address, sender: None, driver: JoinSet::new() }
    }

    /// Sends, and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn open(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let is_ready = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !is_ready {
            self.sender = Some(self.dial().await?);
        }
        let sender = self.sender.as_mut().expect("it has just been dialled");
        sender.send_request(request).await.map_err(|error| error.to_string())
    }

    /// Sends, and waits for the whole answer: its status and body.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn whole(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let response = self.open(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    async fn dial(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        self.driver.abort_all();
        self.driver.spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
