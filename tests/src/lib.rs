//! What needs two crates or a real component: the tests are in `tests/all/`, and those that need what is not on every
//! machine in `tests/real/`.
