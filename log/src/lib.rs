//! Where batches rest: segment files, recovery, cursors.
