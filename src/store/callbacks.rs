//! Promised callbacks (clause E1): what is open, who must do it, what was tried.
