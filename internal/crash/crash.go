// Package crash holds the kill points of the crash tests: places, one after
// every store to shared memory, at which a process can be made to die.
//
// In normal builds a kill point is an empty function and leaves no instruction
// behind (TestPointsCostNothing in package mem looks at the machine code). With
// the build tag shoalcrash, [Arm] makes the n-th point that the process reaches
// from then on the last thing that it does: a real SIGKILL of the real process,
// so that whatever the kernel does for the dead happens as in the field. [Stop]
// makes it stop there instead, for as long as the test likes, and [ArmWoken] makes
// it die of being woken: of whatever the wake-up was for it then knows nothing.
//
// A survivor of point n sees exactly the first n stores of the victim's
// operation. docs/CRASH.md lists them, and tests/crash tries them all.
package crash
