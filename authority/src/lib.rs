//! What makes it authorised: claims, grades, verdicts.
