/// What this is a build of.
public enum Version {
    public static let number = "0.1.0"
    public static let text = "caravan \(number)"
}
