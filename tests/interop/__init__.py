"""Published WAMP clients against our servers, over real sockets."""
