//! How the C library's allocator treats this process.
#![allow(unsafe_code)]

/// Has all threads take their memory from two heaps, not from one each.
///
/// The threads of the server hand most of what they allocate to each other, and a heap of its own
/// costs each of them pages that no other can use, and a system call for every few kilobytes by
/// which it grows. To be called before there are threads.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and touches nothing but the allocator's settings, while
    // no other thread allocates.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
