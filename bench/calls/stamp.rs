//! Receiving with the kernel's own stamp: what the driver measures does not depend on how soon the
//! driver itself is woken.
#![allow(unsafe_code)]

use std::io::{Error, Result};
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

/// Asks for stamps of what is received.
pub fn enable(socket: &UdpSocket) -> Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value lives through the call, its size is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// The next datagram and when the kernel had it.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<(usize, Instant)> {
    let mut control = [0_u64; 16];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: buffers and their lengths belong together and live through the call; the control messages
    // are walked with the system's own macros, within what the call has filled in.
    let (len, stamp) = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let len = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        if len < 0 {
            return Err(Error::last_os_error());
        }
        let mut stamp = None;
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            let is_stamp = (*header).cmsg_level == libc::SOL_SOCKET
                && (*header).cmsg_type == libc::SCM_TIMESTAMPNS;
            if is_stamp {
                stamp = Some(libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned());
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        (len as usize, stamp)
    };
    let now = Instant::now();
    let ago = stamp.and_then(|stamp| {
        let since_1970 = Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32);
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + since_1970).ok()
    });
    Ok((len, now.checked_sub(ago.unwrap_or_default()).unwrap_or(now)))
}
