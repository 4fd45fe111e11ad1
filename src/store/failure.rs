//! Classifies errors of SQLite, and gives SQLite's own message.

use rusqlite::ErrorCode;

use super::StoreError;

/// SQLite's error for a damaged file.
pub(super) fn corrupt(what: &str) -> rusqlite::Error {
    failure(
        rusqlite::ffi::SQLITE_CORRUPT,
        format!("database disk image is malformed: {what}"),
    )
}

/// An error as SQLite would answer it.
pub(super) fn failure(code: std::ffi::c_int, text: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text))
}

/// Whether the file itself is bad (and not the access to it).
pub(super) fn damaged(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Whether the access to the file fails and may succeed later.
pub(super) fn passing(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    )
}

/// What this means to who wants to open a store.
pub(super) fn refused(e: &rusqlite::Error) -> StoreError {
    if passing(e) {
        StoreError::Inaccessible(text(e))
    } else {
        StoreError::Unusable(text(e))
    }
}

/// SQLite's own words, without those of the binding.
pub(super) fn text(e: &rusqlite::Error) -> String {
    match e {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqliteFailure(code, None) => {
            rusqlite::ffi::code_to_str(code.extended_code).to_owned()
        }
        other => other.to_string(),
    }
}
