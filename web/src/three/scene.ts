/** The slabs as a scene of three.js; loaded only when somebody looks. */
import {
    AmbientLight,
    BoxGeometry,
    BufferGeometry,
    Color,
    DirectionalLight,
    EdgesGeometry,
    InstancedMesh,
    LineBasicMaterial,
    LineSegments,
    Matrix4,
    MeshLambertMaterial,
    PerspectiveCamera,
    Raycaster,
    Scene,
    Vector2,
    Vector3,
    WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Category } from "../graph/categories";
import type { Slab } from "./slabs";

/** What the page does with the scene. */
export interface SlabScene {
    /** Lights a slab up; null: none. */
    choose(index: number | null): void;
    /** Turns around the middle by angles, and comes nearer by a factor. */
    turn(around: number, over: number, nearer: number): void;
    reset(): void;
    colours(
        colours: Record<Category, string>,
        background: string,
        chosen: string,
    ): void;
    dispose(): void;
}

interface Listeners {
    onHover(index: number | null, x: number, y: number): void;
    onPick(index: number | null): void;
}

/** Where one looks from at first: the side, so that the flow is from left to right. */
const FROM = new Vector3(-0.72, 0.62, -0.32).normalize();

/** Draws the slabs into `canvas`; throws where there is no WebGL. */
export function makeScene(
    canvas: HTMLCanvasElement,
    slabs: Slab[],
    smooth: boolean,
    listeners: Listeners,
): SlabScene {
    const renderer = new WebGLRenderer({ canvas, antialias: true });
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    const scene = new Scene();
    const camera = new PerspectiveCamera(42, 1, 0.1, 4000);
    const controls = new OrbitControls(camera, canvas);
    controls.enableDamping = smooth;
    const mesh = boxes(slabs);
    const edges = edgesOf(slabs);
    const sun = new DirectionalLight(0xffffff, 1.7);
    sun.position.set(0.6, 1.4, 1);
    scene.add(mesh, edges, new AmbientLight(0xffffff, 1.5), sun);
    const points = corners(slabs);

    let wanted = 0;
    const draw = () => {
        wanted = 0;
        const moved = controls.update();
        renderer.render(scene, camera);
        if (moved && smooth) request();
    };
    const request = () => {
        if (!wanted) wanted = requestAnimationFrame(draw);
    };
    controls.addEventListener("change", request);

    const reset = () => {
        const far = distance(points, FROM, camera);
        camera.position.copy(FROM).multiplyScalar(far);
        controls.target.set(0, 0, 0);
        controls.maxDistance = 4 * far;
        request();
    };
    const observer = new ResizeObserver(() => {
        const { clientWidth, clientHeight } = canvas;
        if (!clientWidth || !clientHeight) return;
        const first = camera.aspect === 1;
        camera.aspect = clientWidth / clientHeight;
        camera.updateProjectionMatrix();
        renderer.setSize(clientWidth, clientHeight, false);
        if (first) reset();
        request();
    });
    observer.observe(canvas);
    const stop = pointing(canvas, camera, mesh, listeners);

    let paint: Color[] = slabs.map(() => new Color());
    let bright = new Color();
    let current: number | null = null;
    const repaint = () => {
        slabs.forEach((_, i) => mesh.setColorAt(i, i === current ? bright : paint[i]!));
        if (mesh.instanceColor) mesh.instanceColor.needsUpdate = true;
        request();
    };
    return {
        choose(index) {
            current = index;
            repaint();
        },
        turn(around, over, nearer) {
            const offset = camera.position.clone().sub(controls.target);
            offset.applyAxisAngle(new Vector3(0, 1, 0), around);
            const side = new Vector3(0, 1, 0).cross(offset).normalize();
            const tilted = offset.clone().applyAxisAngle(side, -over);
            const upright = Math.abs(tilted.y) / tilted.length() < 0.98;
            camera.position
                .copy(upright ? tilted : offset)
                .divideScalar(nearer)
                .add(controls.target);
            request();
        },
        reset,
        colours(colours, background, chosen) {
            scene.background = new Color(background);
            paint = slabs.map((slab) => new Color(colours[slab.category]));
            bright = new Color(chosen);
            repaint();
        },
        dispose() {
            cancelAnimationFrame(wanted);
            observer.disconnect();
            stop();
            controls.dispose();
            mesh.geometry.dispose();
            edges.geometry.dispose();
            renderer.dispose();
        },
    };
}

function boxes(slabs: Slab[]): InstancedMesh {
    const mesh = new InstancedMesh(
        new BoxGeometry(1, 1, 1),
        new MeshLambertMaterial(),
        slabs.length,
    );
    const place = new Matrix4();
    slabs.forEach((slab, i) => {
        place.makeScale(slab.width, slab.height, slab.depth);
        place.setPosition(slab.x, 0, slab.z);
        mesh.setMatrixAt(i, place);
    });
    return mesh;
}

/** All edges as one object. */
function edgesOf(slabs: Slab[]): LineSegments {
    const edges = new EdgesGeometry(new BoxGeometry(1, 1, 1));
    const corners = edges.getAttribute("position");
    const points: Vector3[] = [];
    for (const slab of slabs) {
        for (let i = 0; i < corners.count; i++) {
            points.push(
                new Vector3(
                    corners.getX(i) * slab.width + slab.x,
                    corners.getY(i) * slab.height,
                    corners.getZ(i) * slab.depth + slab.z,
                ),
            );
        }
    }
    const all = new BufferGeometry().setFromPoints(points);
    edges.dispose();
    const material = new LineBasicMaterial({
        color: 0x000000,
        transparent: true,
        opacity: 0.28,
    });
    return new LineSegments(all, material);
}

/** The corners of the box around all slabs, whose middle is the origin. */
function corners(slabs: Slab[]): Vector3[] {
    const most = new Vector3(1, 1, 1);
    for (const { x, z, width, height, depth } of slabs) {
        const x1 = Math.abs(x) + width / 2;
        most.max(new Vector3(x1, height / 2, Math.abs(z) + depth / 2));
    }
    const signs = [-1, 1];
    return signs.flatMap((x) =>
        signs.flatMap((y) =>
            signs.map((z) => most.clone().multiply(new Vector3(x, y, z))),
        ),
    );
}

/** How far in a direction the camera must be to see all points, with a margin. */
function distance(
    points: Vector3[],
    towards: Vector3,
    camera: PerspectiveCamera,
): number {
    const right = new Vector3(0, 1, 0).cross(towards).normalize();
    const up = towards.clone().cross(right);
    const tall = 0.9 * Math.tan((camera.fov * Math.PI) / 360);
    const reach = points.map((p) => {
        const across = Math.abs(p.dot(right)) / (tall * camera.aspect);
        return p.dot(towards) + Math.max(across, Math.abs(p.dot(up)) / tall);
    });
    return Math.max(...reach);
}

function pointing(
    canvas: HTMLCanvasElement,
    camera: PerspectiveCamera,
    mesh: InstancedMesh,
    { onHover, onPick }: Listeners,
): () => void {
    const ray = new Raycaster();
    let down: [number, number] = [0, 0];
    const at = (event: PointerEvent): number | null => {
        const box = canvas.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * 2 - 1;
        const y = 1 - ((event.clientY - box.top) / box.height) * 2;
        ray.setFromCamera(new Vector2(x, y), camera);
        return ray.intersectObject(mesh)[0]?.instanceId ?? null;
    };
    const move = (event: PointerEvent) => {
        if (event.buttons) return;
        const box = canvas.getBoundingClientRect();
        onHover(at(event), event.clientX - box.left, event.clientY - box.top);
    };
    const press = (event: PointerEvent) => void (down = [event.clientX, event.clientY]);
    const release = (event: PointerEvent) => {
        const still = Math.hypot(event.clientX - down[0], event.clientY - down[1]) < 5;
        if (still) onPick(at(event));
    };
    const leave = () => onHover(null, 0, 0);
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerdown", press);
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointerleave", leave);
    return () => {
        canvas.removeEventListener("pointermove", move);
        canvas.removeEventListener("pointerdown", press);
        canvas.removeEventListener("pointerup", release);
        canvas.removeEventListener("pointerleave", leave);
    };
}
