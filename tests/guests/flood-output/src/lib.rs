//! flood-output
