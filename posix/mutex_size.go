//go:build !arm64

package posix

// MutexSize is the size of a pthread_mutex_t in bytes: 40 on x86-64, 48 on arm64.
const MutexSize = 40
