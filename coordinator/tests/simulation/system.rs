//! The system's random numbers, replaced for the threads of a simulation.
//!
//! openraft draws its election times, and tokio the order in which it wakes who waits for the same
//! thing, from generators that every thread seeds once from the system. Both ask through libc's
//! `getrandom`, and this program has one of its own.

use std::cell::Cell;

thread_local! {
    /// None: the thread gets what the kernel has.
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// To be called before the thread does anything that is left to chance.
pub fn seed_this_thread(seed: u64) {
    SEED.set(Some(seed));
}

#[expect(
    unsafe_code,
    reason = "a symbol of libc, and memory that its caller lends"
)]
#[unsafe(no_mangle)]
extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let Some(seed) = SEED.get() else {
        // SAFETY: the arguments are passed on as they are.
        let filled = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(filled).expect("a length or -1");
    };
    let mut chance = super::chance::Chance::new(seed);
    SEED.set(Some(chance.next()));
    // SAFETY: the caller lends `length` bytes at `buffer`.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&chance.next().to_le_bytes()[..chunk.len()]);
    }
    isize::try_from(length).expect("memory has a length")
}
