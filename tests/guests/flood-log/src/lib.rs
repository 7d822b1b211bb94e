//! flood-log
