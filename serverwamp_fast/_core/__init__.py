"""The compiled core: WebSocket frames, codecs, message checks, routing, sessions and the native transport."""
