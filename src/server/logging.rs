//! Log targets, levels and the line format of the daemon (facts L7–L13, L15).
