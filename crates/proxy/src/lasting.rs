//! Work that is done to its end even when whoever waits for it has gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

pub(crate) type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits like the work itself. Dropped before its end, it leaves the rest to a task: what has been
/// done must be recorded, and a client that leaves at the right moment must not prevent it.
pub(crate) struct Lasting<T: Send + 'static> {
    doing: Option<Doing<T>>,
    /// What is done with the result that nobody waits for any more.
    then: fn(T) -> Doing<()>,
    tasks: TaskTracker,
}

impl<T: Send + 'static> Lasting<T> {
    pub(crate) fn new(
        tasks: &TaskTracker,
        doing: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self::or_else(tasks, doing, |done| {
            drop(done);
            Box::pin(std::future::ready(()))
        })
    }

    /// The same where something is to be done with what nobody waits for any more.
    pub(crate) fn or_else(
        tasks: &TaskTracker,
        doing: impl Future<Output = T> + Send + 'static,
        then: fn(T) -> Doing<()>,
    ) -> Self {
        Self { doing: Some(Box::pin(doing)), then, tasks: tasks.clone() }
    }
}

impl<T: Send + 'static> Future for Lasting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let doing = self.doing.as_mut().expect("nobody waits for what has been done");
        let done = doing.as_mut().poll(context);
        if done.is_ready() {
            self.doing = None;
        }
        done
    }
}

impl<T: Send + 'static> Drop for Lasting<T> {
    fn drop(&mut self) {
        if let Some(doing) = self.doing.take() {
            let then = self.then;
            self.tasks.spawn(async move { then(doing.await).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done_nevertheless() {
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let mut work = Lasting::new(&tasks, async move {
            gone.await.unwrap();
            tell.send("done").unwrap();
        });
        assert_eq!((&mut work).now_or_never(), None);
        drop(work);
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_handed_on() {
        type Told = (u8, oneshot::Sender<u8>);
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel::<Told>();
        let (tell, told) = oneshot::channel();
        let then = |(done, tell): Told| -> Doing<()> {
            Box::pin(async move { tell.send(done + 1).unwrap() })
        };
        let mut work = Lasting::or_else(&tasks, async { gone.await.unwrap() }, then);
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        assert!(go.send((1, tell)).is_ok());
        assert_eq!(told.await, Ok(2));
    }

    #[tokio::test]
    async fn what_is_waited_for_needs_no_task() {
        let tasks = TaskTracker::new();
        assert_eq!(Lasting::new(&tasks, async { 1 }).await, 1);
        assert!(tasks.is_empty());
    }
}
