//! What callgrind counted, as far as every machine counts the same.
//!
//! Four libraries look at the processor and take the fastest code that it has: ring, crc32fast,
//! memchr and the C library. Their instructions are left out, as are those of the C library for
//! memory, files and threads, which come with the system, and the standard library's while one thread
//! waits for another. What remains is our own code and the libraries that are compiled the same
//! everywhere: for one compiler and one kind of processor the same number on every machine, but for
//! what chance does to hash maps and threads (well below 1 %). What is left out isn't forgotten: the allocations are counted as
//! calls, and `cargo bench -p wagate-micro` tells the time of everything.

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Instructions of the portable code.
    pub instructions: u64,
    /// Calls of `malloc`, `calloc`, `realloc` and `posix_memalign`.
    pub allocations: u64,
}

/// Libraries whose code depends on the processor, by what stands in the names of their functions.
const DISPATCHED: &[&str] = &["ring::", "ring_core_", "crc32fast::", "memchr::"];

/// How threads wait for one another and ask for the time: how often they look again before they
/// sleep depends on what else the machine does.
const WAITING: &[&str] = &["std::sync::mp", "std::thread::", "std::sys::"];

/// How the C library is asked for memory.
const ALLOCATE: &[&str] = &["malloc", "calloc", "realloc", "posix_memalign"];

/// Reads a profile that was written with `--compress-strings=no`.
///
/// `program` is the path of the executable as it stands in the profile; other objects, such as the
/// C library, aren't counted. The format: <https://valgrind.org/docs/manual/cl-format.html>.
#[must_use]
pub fn read(profile: &str, program: &str) -> Counts {
    let mut counts = Counts::default();
    let mut ours = false;
    let mut portable = false;
    let mut allocates = false;
    // The line after `calls=` tells what the called function took; that is counted where it stands.
    let mut inclusive = false;
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            ours = object == program;
        } else if let Some(function) = line.strip_prefix("fn=") {
            portable = ours && !DISPATCHED.iter().chain(WAITING).any(|name| function.contains(name));
        } else if let Some(function) = line.strip_prefix("cfn=") {
            allocates = ALLOCATE.contains(&function);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ours && allocates {
                counts.allocations += number(calls.split(' ').next());
            }
            inclusive = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if portable && !inclusive {
                counts.instructions += number(line.split(' ').nth(1));
            }
            inclusive = false;
        }
    }
    counts
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_machine_is_left_out() {
        let profile = "\
# callgrind format
version: 1
events: Ir

ob=/program
fl=???
fn=records::render
0 100
cob=/lib/libc.so.6
cfn=malloc
calls=3 0
0 1000
cfn=ring::hmac::sign
calls=1 0
0 5000
0 7

fn=ring::hmac::sign
0 300
cfn=ring_core_0_17_14__sha256_block_data_order_avx
calls=1 0
0 4700

fn=ring_core_0_17_14__sha256_block_data_order_avx
0 4700

fn=memchr::arch::x86_64::memchr::memchr_raw::find_avx2
0 60

ob=/lib/libc.so.6
fn=malloc
0 900
cfn=malloc
calls=2 0
0 100

fn=__memcpy_avx_unaligned_erms
0 800

totals: 1
";
        assert_eq!(read(profile, "/program"), Counts { instructions: 107, allocations: 3 });
    }
}
