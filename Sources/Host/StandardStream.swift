import FoundationEssentials
import Glibc

/// What is known of the streams that the program was started with.
public enum StandardStream {
    /// As systemd.exec(5) says: JOURNAL_STREAM is the device and inode of the journal's own stream, which
    /// a redirected one is not.
    public static func isJournal(_ descriptor: Int32) -> Bool {
        var file = stat()
        guard fstat(descriptor, &file) == 0,
            let stated = ProcessInfo.processInfo.environment["JOURNAL_STREAM"]
        else { return false }
        return stated == "\(file.st_dev):\(file.st_ino)"
    }
}
