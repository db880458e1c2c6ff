//! One gateway owns its data folder, and says so to whoever wants it too.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use tests::Site;

#[tokio::test]
async fn a_second_gateway_on_one_data_folder_is_refused_until_the_first_has_ended() {
    for site in Site::on_each(db::testing::postgres_url().await) {
        let first = site.start().await;
        let refused = site.start_under(&[], &[]).await.err().expect("it is refused");
        assert_eq!(refused.code(), Some(78), "{}", site.words());
        assert_eq!(first.page("/healthz").await, 200);
        // However it ends.
        first.kill().await;
        assert!(site.start().await.stop().await.success());
    }
}

#[tokio::test]
async fn a_data_folder_that_others_can_look_into_is_refused() {
    let site = Site::new(None);
    assert!(site.start().await.stop().await.success());
    for mode in [0o701, 0o704, 0o755] {
        std::fs::set_permissions(site.data(), Permissions::from_mode(mode)).unwrap();
        let refused = site.start_under(&[], &[]).await.err().expect("it is refused");
        assert_eq!(refused.code(), Some(78), "{mode:o}: {}", site.words());
    }
    assert!(site.words().contains("close it with `chmod 700 "), "{}", site.words());
    std::fs::set_permissions(site.data(), Permissions::from_mode(0o700)).unwrap();
    assert!(site.start().await.stop().await.success());
}
