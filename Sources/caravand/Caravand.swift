import Daemon
import Settings

@main
enum Caravand {
    static func main() async { await DaemonCommand.runWithHouseStatus() }
}
