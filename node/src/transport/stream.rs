//! Frames over QUIC streams, each read and write with a deadline and each frame with a limit.

use std::time::Duration;

use bincode::{Decode, Encode};
use protocol::frame;
use quinn::{ReadExactError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the peer is silent")]
    Deadline,
    #[error("the peer ended the stream in the middle of a frame")]
    Ended,
    #[error(transparent)]
    Frame(#[from] frame::Error),
    #[error("the stream broke: {0}")]
    Read(#[from] quinn::ReadError),
    #[error("the stream broke: {0}")]
    Write(#[from] WriteError),
}

/// Reads one frame of at most `max` bytes of body within `deadline`.
pub async fn read_frame<T: Decode<()>>(
    stream: &mut RecvStream,
    max: usize,
    deadline: Duration,
) -> Result<T, Error> {
    let read = async {
        let mut header = [0; frame::HEADER];
        read_exact(stream, &mut header).await?;
        let mut body = vec![0; frame::body_len(header, max)?];
        read_exact(stream, &mut body).await?;
        Ok(frame::decode_body(&body)?)
    };
    timeout(deadline, read).await.map_err(|_| Error::Deadline)?
}

/// Writes one frame within `deadline`: the peer must read for that.
pub async fn write_frame<T: Encode>(
    stream: &mut SendStream,
    value: &T,
    deadline: Duration,
) -> Result<(), Error> {
    let frame = frame::encode(value)?;
    timeout(deadline, stream.write_all(&frame))
        .await
        .map_err(|_| Error::Deadline)??;
    Ok(())
}

async fn read_exact(stream: &mut RecvStream, buffer: &mut [u8]) -> Result<(), Error> {
    stream
        .read_exact(buffer)
        .await
        .map_err(|error| match error {
            ReadExactError::FinishedEarly(_) => Error::Ended,
            ReadExactError::ReadError(error) => Error::Read(error),
        })
}
