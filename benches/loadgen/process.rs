//! What Linux says about another process.

use std::fs::read_to_string;

use crate::Result;

/// CPU time used so far, in microseconds, by all threads, ended ones too.
#[derive(Clone, Copy)]
pub struct CpuTime {
    pub user_us: f64,
    pub system_us: f64,
}

/// Linux counts in `/proc` in ticks of 10 ms (USER_HZ is 100 on every common architecture).
const TICK_US: f64 = 10_000.0;

/// The CPU time of a process, from `/proc/PID/stat` (proc(5), fields 14 and 15).
pub fn cpu_time(pid: u32) -> Result<CpuTime> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets, which may hold blanks.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat has no name in brackets")?;
    let mut ticks = fields.split(' ').skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0) * TICK_US);
    Ok(CpuTime { user_us: ticks.next().unwrap_or(0.0), system_us: ticks.next().unwrap_or(0.0) })
}

impl CpuTime {
    /// What was used between an earlier reading and this one.
    pub fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime { user_us: self.user_us - earlier.user_us, system_us: self.system_us - earlier.system_us }
    }
}

/// The resident memory of a process in KiB, from `/proc/PID/status`.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the process has no memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
